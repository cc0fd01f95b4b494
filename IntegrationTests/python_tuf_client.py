# SPDX-License-Identifier: Apache-2.0
"""A client of python-tuf: python_tuf_client.py STATE URL PATH... prints what each path names; STATE holds root.json."""

import pathlib
import sys

from tuf.ngclient import Updater

state, url = pathlib.Path(sys.argv[1]), sys.argv[2]
(state / "targets").mkdir(exist_ok=True)
updater = Updater(
    metadata_dir=str(state),
    metadata_base_url=f"{url}/metadata/",
    target_dir=str(state / "targets"),
    target_base_url=f"{url}/targets/",
    bootstrap=(state / "root.json").read_bytes(),
)
updater.refresh()
for path in sys.argv[3:]:
    info = updater.get_targetinfo(path)
    print(f"{path}:", pathlib.Path(updater.download_target(info)).read_text() if info else "none")
