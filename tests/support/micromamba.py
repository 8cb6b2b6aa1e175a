"""A stand-in for micromamba, which no registry has that the tests reach: it speaks its command, no more.

`create --yes --quiet --prefix PREFIX --file FILE` makes a virtual environment and installs by pip what FILE
names but python; it writes conda-meta. It resolves nothing, knows no channel, and takes no lock file.
"""

from __future__ import annotations

import os
from pathlib import Path

from ec2tasks.local.requirements import GUEST_ID

SCRIPT = """\
#!/bin/bash
set -eu
[ "$1" = create ] && shift
while [ $# -gt 0 ]; do
    case $1 in
    --prefix) prefix=$2; shift ;;
    --file) file=$2; shift ;;
    esac
    shift
done
python3 -m venv "$prefix"
mkdir -p "$prefix/conda-meta"
sed -n '/^dependencies:/,$s/^  - \\([a-z0-9-]*\\).*/\\1/p' "$file" | while read -r name; do
    [ "$name" = python ] || "$prefix/bin/python" -m pip install --quiet "$name"
    echo '{}' >"$prefix/conda-meta/$name-3.12.0-h0_0.json"
done
"""


def give_micromamba(home: Path) -> None:
    """Put it where ec2tasks would have fetched it to on an instance, given its home here."""
    place = home / ".ec2tasks" / "tools" / "bin"
    place.mkdir(parents=True, exist_ok=True)
    path = place / "micromamba"
    path.write_text(SCRIPT, encoding="utf-8")
    path.chmod(0o755)
    if os.geteuid() == 0:
        for one in (place.parent, place, path):
            os.chown(one, GUEST_ID, GUEST_ID)
