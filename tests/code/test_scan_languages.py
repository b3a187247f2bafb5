"""Each rule of the other languages finds its fault and leaves the clean twin alone."""

# ruff: noqa: E501 - a fault beside its twin is read best on one line

from __future__ import annotations

import pytest

from mainspring.code.scan.files import scan_bytes
from mainspring.code.scan.finding import ScanSettings

#: File name, rule, the fault, its clean twin.
TWINS: list[tuple[str, str, str, str]] = [
    ("a.js", "command-injection", 'function f(h) { exec("ping " + h); }', 'function f(h) { execFile("ping", [h]); }'),
    ("a.ts", "sql-injection", "function f(db: Db, n: string) { return db.query(`SELECT * FROM t WHERE n = '${n}'`); }", 'function f(db: Db, n: string) { return db.query("SELECT * FROM t WHERE n = $1", [n]); }'),
    ("a.js", "xss", 'function f(el, x) { el.innerHTML = "<b>" + x; }', "function f(el, x) { el.textContent = x; }"),
    ("a.js", "code-injection", "function f(x) { return eval(x); }", "function f(x) { return JSON.parse(x); }"),
    ("a.js", "path-traversal", 'app.get("/", (req, res) => { res.sendFile(path.join("/srv", req.params.n)); });', 'app.get("/", (req, res) => { res.sendFile(path.join("/srv", path.basename(req.params.n))); });'),
    ("a.js", "ssrf", 'app.get("/", (req, res) => { fetch(req.query.u); });', 'app.get("/", (req, res) => { const u = new URL(req.query.u); if (!OK.has(u.hostname)) return; fetch(u); });'),
    ("a.js", "tls-verification-off", "https.request({ rejectUnauthorized: false });", "https.request({ rejectUnauthorized: true });"),
    ("a.js", "weak-random", "const token = Math.random().toString(36);", 'const token = crypto.randomBytes(16).toString("hex");'),
    ("a.js", "redos", "const r = /^(a+)+$/;", "const r = /^a+$/;"),
    ("a.go", "sql-injection", "package a\nfunc f(db *sql.DB, n string) { q := fmt.Sprintf(\"SELECT * FROM t WHERE n = '%s'\", n); db.Query(q) }", 'package a\nfunc f(db *sql.DB, n string) { db.Query("SELECT * FROM t WHERE n = $1", n) }'),
    ("a.go", "command-injection", 'package a\nfunc f(h string) { exec.Command("sh", "-c", "ping " + h).Run() }', 'package a\nfunc f(h string) { exec.Command("ping", h).Run() }'),
    ("a.go", "tls-verification-off", "package a\nvar c = &tls.Config{InsecureSkipVerify: true}", "package a\nvar c = &tls.Config{InsecureSkipVerify: false}"),
    ("a.go", "path-traversal", 'package a\nfunc f(w http.ResponseWriter, r *http.Request) { os.ReadFile(filepath.Join("/srv", r.FormValue("f"))) }', 'package a\nfunc f(w http.ResponseWriter, r *http.Request) { os.ReadFile(filepath.Join("/srv", filepath.Base(r.FormValue("f")))) }'),
    ("a.rs", "sql-injection", "fn f(c: &Connection, n: &str) { c.execute(&format!(\"SELECT * FROM t WHERE n = '{}'\", n), []); }", 'fn f(c: &Connection, n: &str) { c.execute("SELECT * FROM t WHERE n = ?1", [n]); }'),
    ("a.rs", "command-injection", 'fn f(h: &str) { Command::new("sh").arg("-c").arg(format!("ping {}", h)).status(); }', 'fn f(h: &str) { Command::new("ping").arg(h).status(); }'),
    ("a.rs", "unsafe-block", "fn f(b: &[u8]) -> &str { unsafe { std::str::from_utf8_unchecked(b) } }", 'fn f(b: &[u8]) -> &str { std::str::from_utf8(b).unwrap_or("") }'),
    ("A.java", "sql-injection", "class A { void f(Statement s, String n) throws Exception { s.executeQuery(\"SELECT * FROM t WHERE n = '\" + n + \"'\"); } }", 'class A { void f(Connection c, String n) throws Exception { c.prepareStatement("SELECT * FROM t WHERE n = ?").setString(1, n); } }'),
    ("A.java", "deserialisation", "class A { Object f(InputStream i) throws Exception { return new ObjectInputStream(i).readObject(); } }", "class A { Object f(InputStream i) throws Exception { return new ObjectMapper().readValue(i, B.class); } }"),
    ("A.java", "xxe", "class A { void f() throws Exception { DocumentBuilderFactory d = DocumentBuilderFactory.newInstance(); } }", 'class A { void f() throws Exception { DocumentBuilderFactory d = DocumentBuilderFactory.newInstance(); d.setFeature("http://apache.org/xml/features/disallow-doctype-decl", true); } }'),
    ("A.java", "weak-hash", 'class A { void f() throws Exception { MessageDigest.getInstance("MD5"); } }', 'class A { void f() throws Exception { MessageDigest.getInstance("SHA-256"); } }'),
    ("a.c", "buffer-overflow", "void f(char *s) { char b[9]; strcpy(b, s); }", 'void f(char *s) { char b[9]; snprintf(b, sizeof b, "%s", s); }'),
    ("a.c", "format-string", "void f(char *s) { printf(s); }", 'void f(char *s) { printf("%s", s); }'),
    ("a.c", "unchecked-length", "void f(char *s, size_t n) { char b[9]; memcpy(b, s, n); }", "void f(char *s, size_t n) { char b[9]; if (n > sizeof(b)) return; memcpy(b, s, n); }"),
    ("a.c", "use-after-free", "void f(char *p) { free(p); puts(p); }", "void f(char *p) { puts(p); free(p); p = NULL; }"),
    ("a.cpp", "command-injection", 'void f(std::string h) { system(("ping " + h).c_str()); }', 'void f(std::string h) { system("ping localhost"); }'),
    ("a.html", "xss", "<p>{{ name|safe }}</p>", "<p>{{ name }}</p>"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("path", "rule", "fault", "clean"), TWINS, ids=[f"{n}-{t[0]}-{t[1]}" for n, t in enumerate(TWINS)]
)
def test_the_fault_is_found_and_its_twin_is_clean(path: str, rule: str, fault: str, clean: str) -> None:
    settings = ScanSettings()
    assert rule in {one.rule for one in scan_bytes(path, fault.encode(), settings).findings}
    assert scan_bytes(path, clean.encode(), settings).findings == []
