"""The commands and their options."""

# Typer reads the annotations when a command runs, so they must exist in every supported Python.
from pathlib import Path
from typing import Annotated, Any

import typer

import ecseq
from ecseq._relations import as_duration
from ecseq.cli import console
from ecseq.cli.event_files import PIECE_ROWS
from ecseq.cli.explaining import explain_event
from ecseq.cli.fitting import FitRequest, fit_events
from ecseq.cli.inspecting import describe_model, tensor_sizes
from ecseq.cli.layout import EventLayout
from ecseq.cli.scoring import score_file
from ecseq.demo.run import DemoOptions, run_demo

app = typer.Typer(
    name="ecseq",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    help="Score event sequences by what is related to them.",
    context_settings={"help_option_names": ["-h", "--help"]},
)

_Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress.")]
_Threads = Annotated[
    int, typer.Option("--threads", min=0, help="Threads; 0 leaves the choice to the library.")
]
_Model = Annotated[Path, typer.Argument(help="A model file of 'ecseq fit'.", show_default=False)]
_Events = Annotated[
    Path, typer.Argument(help="Events, one per row: .csv or .parquet.", show_default=False)
]


def _names(value: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in value.split(",") if name.strip())


def _one_of(option: str, value: str, allowed: tuple[str, ...]) -> str:
    if value not in allowed:
        raise typer.BadParameter(f"{value!r} is not one of {', '.join(allowed)}", param_hint=option)
    return value


def _fraction(option: str, value: float) -> float:
    if not 0.0 < value < 1.0:
        raise typer.BadParameter(
            f"expected a number between 0 and 1, got {value:g}", param_hint=option
        )
    return value


def _delay(option: str, value: str) -> float:
    try:
        seconds = as_duration(value, option)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint=option) from error
    if seconds == float("inf"):
        raise typer.BadParameter("expected a finite duration", param_hint=option)
    return seconds


def _version(value: bool) -> None:
    if value:
        console.say(f"ecseq {ecseq.__version__}")
        raise typer.Exit


@app.callback()
def _main(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_version, is_eager=True, help="Show the version and leave."
        ),
    ] = False,
) -> None:
    pass


@app.command()
def fit(
    events: _Events,
    by: Annotated[str, typer.Option(help="Column: whose event it is.", show_default=False)],
    label: Annotated[str, typer.Option(help="Column: what to predict.", show_default=False)],
    out: Annotated[Path, typer.Option(help="Model file to write.")] = Path("model.ecseq"),
    time: Annotated[
        str, typer.Option(help="Column: when it happened, a timestamp or seconds.")
    ] = "",
    features: Annotated[
        str,
        typer.Option(
            help="Columns of numbers or of categories (text), with commas. Default: all numeric "
            "ones that are left."
        ),
    ] = "",
    entities: Annotated[
        str, typer.Option(help="Columns of shared entities, with commas: terminal, device, item.")
    ] = "",
    label_delay: Annotated[
        str, typer.Option(help="How long after its event a label is known: 7d, 12h.")
    ] = "0d",
    window: Annotated[int, typer.Option(min=1, help="Last events of a sequence at most.")] = 20,
    per: Annotated[
        str,
        typer.Option(
            help="One sequence per event or user. auto: user where each user has one label only."
        ),
    ] = "auto",
    task: Annotated[str, typer.Option(help="auto, classification or regression.")] = "auto",
    split: Annotated[
        str, typer.Option(help="auto, time or random (by user). auto: time where it is known.")
    ] = "auto",
    test_fraction: Annotated[float, typer.Option(help="Share of the events to test on.")] = 0.25,
    validation_fraction: Annotated[
        float, typer.Option(help="Share of the rest to validate on.")
    ] = 0.2,
    cell: Annotated[str, typer.Option(help="Encoder: lstm, gru or transformer.")] = "lstm",
    hidden_size: Annotated[int, typer.Option(min=1, help="Size of the embedding.")] = 32,
    max_epochs: Annotated[int, typer.Option(min=1, help="Passes of the encoder at most.")] = 30,
    representatives: Annotated[
        int, typer.Option(min=0, help="Number of representatives; 0: one per 20, at most 500.")
    ] = 0,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same model.")] = 0,
    threads: _Threads = 0,
    quiet: _Quiet = False,
) -> None:
    """Train on an event file, show what it gains over the base model, and save it.

    The events are split into training, validation and test part; the table compares the base
    encoder, two controls on its embedding, and ECSeq on the test part.

    [bold]Examples[/bold]

    \b
    ecseq fit payments.csv --by card --time ts --label fraud \\
      --features amount,hour --entities terminal --label-delay 7d
    ecseq fit clients.parquet --by client --label churned --out churn.ecseq
    ecseq fit sensors.csv --by machine --time ts --label wear --task regression
    """
    layout = EventLayout(
        by=by,
        features=_names(features),
        time=time,
        label=label,
        entities=_names(entities),
        window=window,
        per=_one_of("--per", per, ("auto", "event", "user")),
    )
    if label in (*layout.features, *layout.entities, by, time):
        raise typer.BadParameter(f"{label!r} is also used as an input", param_hint="--label")
    _one_of("--split", split, ("auto", "time", "random"))
    if split == "time" and not time:
        raise typer.BadParameter("a split by time needs --time", param_hint="--split")
    if layout.entities and time and split == "random":
        raise typer.BadParameter(
            "with --time and --entities the split is by time: an entity must not know later labels",
            param_hint="--split",
        )
    request = FitRequest(
        events=events,
        layout=layout,
        task=_one_of("--task", task, ("auto", "classification", "regression")),
        split=split,
        label_delay=_delay("--label-delay", label_delay),
        validation_fraction=_fraction("--validation-fraction", validation_fraction),
        test_fraction=_fraction("--test-fraction", test_fraction),
        cell=_one_of("--cell", cell, ("lstm", "gru", "transformer")),
        hidden_size=hidden_size,
        max_epochs=max_epochs,
        n_representatives=representatives,
        seed=seed,
        num_threads=threads,
    )
    with console.stages(quiet) as progress:
        outcome = fit_events(request, console.note, progress)
        outcome.model.save(out)
    console.show_metrics(outcome.test, f"on the test part ({outcome.sizes['test']:,} sequences)")
    console.say("")
    console.show_seconds(outcome.seconds)
    console.say("")
    console.say(f"model: {out}")


@app.command()
def score(
    model: _Model,
    events: _Events,
    out: Annotated[
        Path, typer.Option(help="Scores to write: .csv or .parquet.", show_default=False)
    ],
    threads: _Threads = 0,
    rows: Annotated[
        int, typer.Option(min=1, help="Events read at a time; memory grows with it.")
    ] = PIECE_ROWS,
    quiet: _Quiet = False,
) -> None:
    """Score an event file of any size, with a model of 'ecseq fit'.

    The file is read in groups of rows, and between them only the last events of each user are
    kept. The events of a user must therefore be in time order from group to group; within a group
    they are sorted. Entities are judged by what was known of them when the model was fitted.

    [bold]Examples[/bold]

    \b
    ecseq score model.ecseq new-payments.parquet --out scores.parquet
    ecseq score model.ecseq new-payments.csv --out scores.csv --rows 50000
    """
    loaded, layout = _load(model, threads)
    with console.stages(quiet) as progress:

        def on_rows(done: int) -> None:
            if progress is not None:
                progress("scoring events", done, 0, "")

        n = score_file(loaded, layout, events, out, piece_rows=rows, on_rows=on_rows)
    console.say(f"{n:,} scores: {out}")


@app.command()
def explain(
    model: _Model,
    events: _Events,
    row: Annotated[
        int, typer.Option(help="The event in this row of the file, counted from 0.")
    ] = -1,
    user: Annotated[str, typer.Option(help="The last event of this user.")] = "",
    top: Annotated[int, typer.Option(min=0, help="Similar cases to name.")] = 5,
) -> None:
    """Say in words why an event has its score.

    [bold]Examples[/bold]

    \b
    ecseq explain model.ecseq payments.csv --row 1041
    ecseq explain model.ecseq payments.csv --user c0123 --top 3
    """
    if (row >= 0) == bool(user):
        raise typer.BadParameter("give either --row (from 0) or --user", param_hint="--row")
    loaded, layout = _load(model, 0)
    explanation, table = explain_event(loaded, layout, events, row=row, user=user, top=top)
    console.say(str(explanation))
    console.say("")
    shown = [name for name in (layout.time, *layout.features, *layout.entities) if name]
    columns = [[_text(value) for value in table.column(name).to_pylist()] for name in shown]
    rows = [list(cells) for cells in zip(*columns, strict=True)]
    console.show_table(shown, rows, f"{layout.by} {table[layout.by][0]}")


@app.command()
def inspect(
    model: _Model,
    tensors: Annotated[bool, typer.Option("--tensors", help="List the tensors too.")] = False,
) -> None:
    """Show what a model file holds: task, encoder, relations, measures, sizes.

    [bold]Examples[/bold]

    \b
    ecseq inspect model.ecseq
    ecseq inspect model.ecseq --tensors
    """
    loaded = ecseq.load(model)
    facts = describe_model(loaded, model)
    width = max(len(name) for name, _ in facts)
    for name, value in facts:
        console.say(f"{name:<{width}}  {value}")
    validation = loaded.fit_report_.get("validation")
    if validation:
        console.say("")
        console.show_metrics(validation, "on the validation part")
    seconds = loaded.fit_report_.get("seconds")
    if seconds:
        console.say("")
        console.show_seconds(seconds)
    if tensors:
        console.say("")
        rows = [[name, shape, f"{size:,}"] for name, shape, size in tensor_sizes(model)]
        console.show_table(["tensor", "shape", "bytes"], rows)


@app.command()
def demo(
    out: Annotated[Path, typer.Option(help="Folder of the report.")] = Path("ecseq-demo"),
    seeds: Annotated[int, typer.Option(min=1, help="Runs, each with its own simulation.")] = (
        DemoOptions.n_seeds
    ),
    quick: Annotated[
        bool, typer.Option("--quick", help="One run on a small town, in seconds.")
    ] = False,
    threads: _Threads = 0,
) -> None:
    """Run the whole job on simulated card payments and write a report of it.

    [bold]Examples[/bold]

    \b
    ecseq demo
    ecseq demo --out /tmp/report --quick
    """
    num_threads = threads or None
    options = (
        DemoOptions.quick(out, num_threads)
        if quick
        else DemoOptions(out=out, n_seeds=seeds, num_threads=num_threads)
    )
    run_demo(options, say=console.say)


def _text(value: object) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _load(path: Path, threads: int) -> tuple[Any, EventLayout]:
    loaded = ecseq.load(path)
    if threads:
        loaded.set_params(num_threads=threads)
    return loaded, EventLayout.of(loaded, path)
