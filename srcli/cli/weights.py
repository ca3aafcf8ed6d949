"""`srcli weights`: the catalogue and what of it is on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from srcli.cli.examples import epilog
from srcli.cli.options import known_weights
from srcli.cli.render import weights as render

app = typer.Typer(
    help="List, fetch, check and import pretrained weights.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)

NameArgument = Annotated[
    str,
    typer.Argument(metavar="NAME", help="A name, in any spelling.", autocompletion=known_weights),
]
NamesArgument = Annotated[
    list[str],
    typer.Argument(
        metavar="NAME",
        help="Names, hf://owner/repo/file, or openmodeldb:NAME.",
        autocompletion=known_weights,
    ),
]
FileArgument = Annotated[
    Path, typer.Argument(metavar="FILE", help="A .pth or .safetensors, or half of an ncnn pair.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="One JSON object per line on stdout.")]
OfflineOption = Annotated[
    bool | None, typer.Option("--offline/--online", help="Open no connection. SRCLI_OFFLINE=1 too.")
]
TrustOption = Annotated[
    bool, typer.Option("--trust", help="Accept files whose digest nobody recorded.")
]
NewNameOption = Annotated[
    str | None, typer.Option("--name", help="What to call it; by default as the file is called.")
]


@app.command("list", epilog=epilog("weights list"))
def list_command(json: JsonOption = False) -> None:
    """Show all weights: scale, size, licence, what they are good for, and which are here."""
    from srcli.services.weights_cache import list_weights

    render.listed(list_weights(), is_json=json)


@app.command(epilog=epilog("weights show"))
def show(name: NameArgument, json: JsonOption = False) -> None:
    """Show all that is known of one set of weights."""
    from srcli.services.weights_cache import show_weights

    render.shown(show_weights(name), is_json=json)


@app.command(epilog=epilog("weights search"))
def search(
    word: Annotated[str, typer.Argument(metavar="WORD", help="In name, author, tags or text.")],
    scale: Annotated[
        int | None, typer.Option("--scale", "-s", min=1, help="Only of this scale.")
    ] = None,
    json: JsonOption = False,
    offline: OfflineOption = None,
) -> None:
    """Search OpenModelDB, which has hundreds; `weights pull openmodeldb:NAME` fetches one."""
    from srcli.services.weights_openmodeldb import search_openmodeldb

    found = search_openmodeldb(word, offline=offline)
    render.found([each for each in found if scale in (None, each.scale)], is_json=json)


@app.command(epilog=epilog("weights pull"))
def pull(
    names: NamesArgument,
    json: JsonOption = False,
    offline: OfflineOption = None,
    trust: TrustOption = False,
) -> None:
    """Fetch weights into the cache."""
    from srcli.services.weights_cache import pull_weights

    with render.events() as on_event:
        results = pull_weights(names, offline=offline, trust=trust, on_event=on_event)
        exit_code = render.pulled(results, count=len(names), is_json=json)
    raise typer.Exit(exit_code)


@app.command(epilog=epilog("weights verify"))
def verify(json: JsonOption = False) -> None:
    """Hash every file in the cache and remove the damaged ones."""
    from srcli.services.weights_cache import verify_weights

    raise typer.Exit(render.verified(verify_weights(), is_json=json))


@app.command("import", epilog=epilog("weights import"))
def import_command(
    file: FileArgument, name: NewNameOption = None, json: JsonOption = False
) -> None:
    """Copy a file of weights into the cache, to be used by name."""
    from srcli.services.weights_cache import import_weights

    render.imported(import_weights(file, name), is_json=json)


@app.command(epilog=epilog("weights path"))
def path(name: NameArgument, json: JsonOption = False) -> None:
    """Print where the files are. Opens no connection."""
    from srcli.services.weights_cache import path_of_weights

    render.located(path_of_weights(name), is_json=json)


@app.command(epilog=epilog("weights remove"))
def remove(name: NameArgument, json: JsonOption = False) -> None:
    """Remove weights from the cache."""
    from srcli.services.weights_cache import remove_weights

    render.removed(remove_weights(name), is_json=json)


@app.command(epilog=epilog("weights blend"))
def blend(
    first: NameArgument,
    second: NameArgument,
    output: Annotated[Path, typer.Option("--output", "-o", help="The .safetensors to write.")],
    alpha: Annotated[
        float, typer.Option("--alpha", min=0, max=1, help="Share of the second.")
    ] = 0.5,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the file.")] = False,
    json: JsonOption = False,
    offline: OfflineOption = None,
    trust: TrustOption = False,
) -> None:
    """Mix two weights of one shape: (1 - alpha) of the first, alpha of the second."""
    from srcli.services.blending import blend_weights

    with render.events() as on_event:
        report = blend_weights(
            first,
            second,
            alpha,
            output,
            overwrite=overwrite,
            offline=offline,
            trust=trust,
            on_event=on_event,
        )
    render.blended(report, is_json=json)
