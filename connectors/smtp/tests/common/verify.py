"""Says of each DKIM signature of a mail whether it holds. DNS is a file: selector, kind, key in hexadecimal."""

import base64
import sys

import dkim

mail = open(sys.argv[1], "rb").read()
records = {}
for line in open(sys.argv[2]):
    selector, kind, key = line.split()
    text = f"v=DKIM1; k={kind}; p={base64.b64encode(bytes.fromhex(key)).decode()}"
    records[f"{selector}._domainkey.example.org."] = text.encode()


def look_up(name, timeout=5):
    return records.get(name.decode() if isinstance(name, bytes) else name)


def holds(index):
    try:
        return dkim.DKIM(mail).verify(idx=index, dnsfunc=look_up)
    except dkim.DKIMException:
        return False


print(*(holds(index) for index in range(len(records))))
