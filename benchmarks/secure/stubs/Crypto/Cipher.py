"""Ciphers that keep the interface and encrypt nothing."""


class _Made:
    def __init__(self, key, mode, nonce=b""):
        self.key, self.mode, self.nonce = key, mode, nonce

    def encrypt(self, data):
        return bytes(byte ^ self.key[0] for byte in data)

    def encrypt_and_digest(self, data):
        return self.encrypt(data), b"t" * 16


class DES:
    MODE_ECB, MODE_CBC = 1, 2
    new = _Made


class AES:
    MODE_ECB, MODE_CBC, MODE_GCM = 1, 2, 11
    new = _Made
