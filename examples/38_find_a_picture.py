"""A folder of pictures, searched by the words that stand on them and by how they look. Runs offline."""

from pathlib import Path
from tempfile import TemporaryDirectory

from PIL import Image, ImageDraw

from mainspring.library.embed.protocol import Picture
from mainspring.library.library import Library
from mainspring.library.sight import LookEmbedder


def sign(colour: str, words: str) -> Image.Image:
    """A picture with words on it."""
    image = Image.new("RGB", (480, 240), colour)
    ImageDraw.Draw(image).text((40, 90), words, fill="white", font_size=44)
    return image


with TemporaryDirectory() as name:
    folder = Path(name) / "pictures"
    folder.mkdir()
    sign("darkred", "Mind the gap").save(folder / "IMG_0001.jpg")
    sign("navy", "Platform 7").save(folder / "IMG_0002.jpg")
    sign("darkgreen", "Way out").save(folder / "IMG_0003.png")

    with Library.open(home=Path(name) / "home", embedder="none") as library:
        library.index([folder], ocr="now")  # reads the words on the pictures before it returns
        for query in ("platform", "red landscape", "绿色"):
            hit = library.search(query)[0]
            print(f"{query}: {Path(hit.page.document.uri).name}, on which stands {hit.page.page.text!r}")

    looks = LookEmbedder()
    pictures = sorted(folder.iterdir())
    known = [one.vectors[0] for one in looks.documents([Picture(path) for path in pictures])]
    sign("navy", "Platform 7").resize((200, 100)).save(folder / "small.jpg", quality=30)
    (copy,) = looks.queries([Picture(folder / "small.jpg")])
    best = max(range(len(known)), key=lambda n: float(known[n] @ copy.vectors[0]))
    print("the small copy looks like", pictures[best].name)
