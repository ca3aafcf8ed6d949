"""`srcli doctor`: what this machine offers."""

from __future__ import annotations

from srcli.cli import options as shared
from srcli.cli.render import doctor as render


def doctor(json: shared.JsonOption = False) -> None:
    """Show devices, free memory, versions, the cache and which sources answer."""
    from srcli.services.doctor import examine  # imports torch: keep --help instant

    render.show(examine(), json=json)
