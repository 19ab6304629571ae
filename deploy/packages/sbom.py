#!/usr/bin/env python3
"""Prints the bill of materials of the program, in CycloneDX's JSON form: every crate that is built into it.

    deploy/packages/sbom.py > audience.cdx.json

Needs cargo, and nothing else. Crates of tests are left out; the licence and the checksum of each are those that it declares.
"""

import json
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = "audience"


def metadata():
    rustc = subprocess.run(["rustc", "-vV"], capture_output=True, text=True, check=True).stdout
    host = next(line.split()[1] for line in rustc.splitlines() if line.startswith("host:"))
    command = ["cargo", "metadata", "--format-version", "1", "--locked", "--filter-platform", host]
    return json.loads(subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout)


def used(nodes, first):
    """The crates that are reached by other ways than tests and build scripts."""
    edges = {}
    found, left = set(), [first]
    while left:
        current = left.pop()
        if current in found:
            continue
        found.add(current)
        normal = [one["pkg"] for one in nodes[current]["deps"] if any(kind["kind"] is None for kind in one["dep_kinds"])]
        edges[current] = sorted(normal)
        left += normal
    return edges


def reference(package):
    return f"pkg:cargo/{package['name']}@{package['version']}"


def component(package, checksums, kind="library"):
    described = {
        "type": kind,
        "bom-ref": reference(package),
        "name": package["name"],
        "version": package["version"],
        "purl": reference(package),
    }
    if package.get("license"):
        described["licenses"] = [{"expression": package["license"].replace("/", " OR ")}]
    if checksum := checksums.get((package["name"], package["version"])):
        described["hashes"] = [{"alg": "SHA-256", "content": checksum}]
    return described


def main():
    cargo = metadata()
    packages = {package["id"]: package for package in cargo["packages"]}
    nodes = {node["id"]: node for node in cargo["resolve"]["nodes"]}
    lock = tomllib.loads((ROOT / "Cargo.lock").read_text())["package"]
    checksums = {(one["name"], one["version"]): one["checksum"] for one in lock if "checksum" in one}
    first = next(id for id in cargo["workspace_members"] if packages[id]["name"] == PROGRAM)
    edges = used(nodes, first)
    libraries = sorted((packages[id] for id in edges if id != first), key=reference)
    bill = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": component(packages[first], checksums, "application")},
        "components": [component(library, checksums) for library in libraries],
        "dependencies": [
            {"ref": reference(packages[id]), "dependsOn": sorted({reference(packages[other]) for other in others})}
            for id, others in sorted(edges.items())
        ],
    }
    json.dump(bill, sys.stdout, indent=1)
    print()


if __name__ == "__main__":
    main()
