"""The only way out of a sandbox: a proxy that sees names, lets through what a person granted and keeps count.

`hosts` reads grants, `addresses` says which addresses are never reached, `hello` reads the name that TLS asks for,
`request` reads a request's head, `server` is the proxy. `inside` runs in the sandbox and only carries bytes.
"""
