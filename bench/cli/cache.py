"""`medssl cache`: Show or trim what is kept on disk."""

import click


@click.command("cache")
@click.option("--limit", type=click.FloatRange(0), help="Trim features to this many GB, least recently used first.")
@click.option("--clear", is_flag=True, help="Remove all features.")
def COMMAND(limit: float | None, clear: bool) -> None:
    """Show the feature cache, or trim it. Prepared images are managed by `medssl data`."""
    from bench.features.cache import DEFAULT_LIMIT, FeatureCache

    cache = FeatureCache()
    if clear or limit is not None:
        freed = cache.trim(0 if clear else int((limit or 0) * 1e9))
        click.echo(f"Freed {freed / 1e9:.2f} GB")
    click.echo(f"{cache.folder}: {cache.size() / 1e9:.2f} GB of at most {DEFAULT_LIMIT / 1e9:.0f} GB")
