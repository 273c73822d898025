"""The picture of the README is what happens: its script runs, and its subscriber misses nothing."""

import os
import subprocess
import xml.dom.minidom

from world import PATIENCE, ROOT, TIDINGS, Folder, test


@test
def the_picture_of_the_readme_can_be_made_again_and_shows_what_happens():
    folder = Folder()
    try:
        file = folder.path / "picture.svg"
        # It fails unless the subscriber got each step once, in order, over both kills.
        done = subprocess.run([ROOT / "scripts/picture", file], capture_output=True, text=True,
                              timeout=4 * PATIENCE, env={**os.environ, "TIDINGS": TIDINGS})
        assert done.returncode == 0, done.stdout + done.stderr
        made, kept = (xml.dom.minidom.parse(str(path)) for path in [file, ROOT / "docs/resume.svg"])
        texts = lambda picture: {
            "".join(node.data for node in text.childNodes)
            for text in picture.getElementsByTagName("text")}
        # Ids and waits differ from run to run; what is typed, published and printed does not.
        always = {text for text in texts(kept) if not any(c in text for c in ["-", "again", "published in"])}
        missing = always - texts(made)
        assert len(always) > 20 and not missing, f"scripts/picture: {missing}"
        assert "resume.svg" in (ROOT / "README.md").read_text()
    finally:
        folder.remove()
