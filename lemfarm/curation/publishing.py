"""An exported dataset as the hub takes it."""

from lemfarm.curation.dataset import MANIFEST
from lemfarm.curation.dataset_folder import CARD_JSON
from lemfarm.curation.export import Exported
from lemfarm.hub import CARD, Parcel


def dataset_parcel(repo: str, exported: Exported) -> Parcel:
    """The files that the export wrote, its page as that of the repository; nothing else that lies in its folder."""
    names = (*exported.files.values(), MANIFEST, CARD_JSON)
    return Parcel(
        repo=repo,
        kind="dataset",
        card=(exported.folder / CARD).read_text(encoding="utf-8"),
        files={name: exported.folder / name for name in names},
        message=f"Dataset {exported.hash} of run {exported.facts.run}",
    )
