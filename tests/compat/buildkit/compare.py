"""Two images, as OCI layouts, are the same: their trees of files, and what they do by themselves.

    compare.py LAYOUT LAYOUT DIFFERENCES SAMPLE
    compare.py LAYOUT FOLDER DIFFERENCES SAMPLE

Where the second is the root file system that somebody unpacked, only the files are compared. Times aren't compared. DIFFERENCES names what may differ: a line each with the sample, the path or key, and the reason.
"""

import fnmatch
import hashlib
import io
import json
import os
import stat
import subprocess
import sys
import tarfile

KINDS = {
    tarfile.REGTYPE: "file",
    tarfile.AREGTYPE: "file",
    tarfile.DIRTYPE: "folder",
    tarfile.SYMTYPE: "link",
    tarfile.FIFOTYPE: "pipe",
    tarfile.CHRTYPE: "device",
    tarfile.BLKTYPE: "device",
}


class Layout:
    def __init__(self, folder):
        self.folder = folder
        with open(os.path.join(folder, "index.json")) as file:
            entry = json.load(file)["manifests"][0]
        self.manifest = json.loads(self.blob(entry["digest"]))
        self.config = json.loads(self.blob(self.manifest["config"]["digest"]))

    def blob(self, digest):
        with open(os.path.join(self.folder, "blobs", *digest.split(":")), "rb") as file:
            return file.read()

    def layers(self):
        for layer in self.manifest["layers"]:
            content = self.blob(layer["digest"])
            if layer["mediaType"].endswith("zstd"):
                content = subprocess.run(["zstd", "-dc"], input=content, stdout=subprocess.PIPE, check=True).stdout
            yield tarfile.open(fileobj=io.BytesIO(content))

    def tree(self):
        """Path → what is there. Names of one file share one value."""
        tree = {}
        for layer in self.layers():
            own = set()
            for member in layer:
                path = os.path.normpath("/" + member.name)
                parent, name = os.path.split(path)
                if name == ".wh..wh..opq":
                    remove(tree, parent, keep=own, inside=True)
                elif name.startswith(".wh."):
                    remove(tree, os.path.join(parent, name[4:]), keep=own)
                elif member.islnk():
                    remove(tree, path, keep=own)
                    tree[path] = tree[os.path.normpath("/" + member.linkname)]
                    own.add(path)
                else:
                    if not (member.isdir() and path in tree and tree[path]["kind"] == "folder"):
                        remove(tree, path, keep=own)
                    tree[path] = entry(layer, member)
                    own.add(path)
        tree.pop("/", None)
        return tree


class Folder:
    config = None

    def __init__(self, folder):
        self.folder = os.path.normpath(folder)

    def tree(self):
        tree, seen = {}, {}
        for parent, folders, files in os.walk(self.folder):
            for name in folders + files:
                path = os.path.join(parent, name)
                data = os.lstat(path)
                found = self.entry(path, data)
                if not stat.S_ISDIR(data.st_mode):
                    found = seen.setdefault(data.st_ino, found)
                tree[path[len(self.folder) :]] = found
        return tree

    def entry(self, path, data):
        kinds = {stat.S_IFREG: "file", stat.S_IFDIR: "folder", stat.S_IFLNK: "link", stat.S_IFIFO: "pipe"}
        kind = kinds.get(stat.S_IFMT(data.st_mode), "device")
        found = {"kind": kind, "mode": oct(stat.S_IMODE(data.st_mode)), "owner": f"{data.st_uid}:{data.st_gid}"}
        if kind == "file":
            with open(path, "rb") as file:
                found["content"] = hashlib.sha256(file.read()).hexdigest()[:12]
        if kind == "link":
            found["to"] = os.readlink(path)
            del found["mode"]
        return found


def entry(layer, member):
    found = {"kind": KINDS[member.type], "mode": oct(stat.S_IMODE(member.mode)), "owner": f"{member.uid}:{member.gid}"}
    if member.isfile():
        found["content"] = hashlib.sha256(layer.extractfile(member).read()).hexdigest()[:12]
    if member.issym():
        found["to"] = member.linkname
        del found["mode"]
    extended = {name: value for name, value in member.pax_headers.items() if "xattr" in name}
    if extended:
        found["extended"] = extended
    return found


def remove(tree, path, keep, inside=False):
    for other in [it for it in tree if it.startswith(path.rstrip("/") + "/") or (it == path and not inside)]:
        if other not in keep:
            del tree[other]


def described(layout, with_config):
    """Everything that is compared, by path and by key."""
    tree = layout.tree()
    names = {}
    for path, found in tree.items():
        names.setdefault(id(found), []).append(path)
    all = {}
    for path, found in tree.items():
        same = [other for other in sorted(names[id(found)]) if other != path]
        all[path] = {**found, "same": same} if same else found
    if not with_config:
        return all
    config = layout.config.get("config") or {}
    for key in sorted(config):
        # Nothing and no word of it are the same.
        nothing = config[key] in (None, "", [], {}) or (key, config[key]) == ("WorkingDir", "/")
        if not nothing and key != "ArgsEscaped":
            all[key] = config[key]
    for key in ("architecture", "os"):
        all[key] = layout.config.get(key)
    return all


def main():
    ours, theirs, differences, sample = sys.argv[1:]
    allowed = []
    with open(differences) as file:
        for line in file:
            if line.strip() and not line.startswith("#"):
                of, what, reason = line.split(None, 2)
                if fnmatch.fnmatch(sample, of):
                    allowed.append(what)
    is_layout = os.path.exists(os.path.join(theirs, "index.json"))
    theirs = described((Layout if is_layout else Folder)(theirs), is_layout)
    ours = described(Layout(ours), is_layout)
    wrong = 0
    for what in sorted(ours.keys() | theirs.keys()):
        one, two = ours.get(what), theirs.get(what)
        if one != two and not any(fnmatch.fnmatch(what, pattern) for pattern in allowed):
            wrong += 1
            print(f"{sample}: {what}\n    ours:   {json.dumps(one)}\n    theirs: {json.dumps(two)}")
    print(f"{sample}: {len(ours)} compared, {wrong} differ")
    sys.exit(1 if wrong else 0)


main()
