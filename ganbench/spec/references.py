"""Published scores that a benchmark refers to, in the table `[[references]]` of its spec."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from ganbench.plugin.options import StrictModel


class Reference(StrictModel):
    """A published score, with the conditions under which a run can reproduce it.

    The settings are those of the spec in which the reference is written, before any override. They are stored with the
    reference, so that they remain those of the publication when the spec is copied and edited.
    """

    label: str = Field(min_length=1, description="short name of the publication")
    metric: str = Field(description="id of the score in the result, such as fid or kid.mean")
    value: float = Field(description="the published score")
    std: float | None = Field(
        None, ge=0, description="its published standard deviation, shown and not used; default: none"
    )
    band: float = Field(
        gt=0, description="how far a run's score may be from the published one to reproduce it, in the score's unit"
    )
    source: str = Field(min_length=1, description="where the score is published: a URL, a DOI or a citation")
    protocol: dict[str, Any] = Field(
        min_length=1, description="fields that the protocol of the run's score must contain, with these values"
    )
    data_fingerprint: str | None = Field(
        None, description="fingerprint of the published data; default: the options of the dataset must be equal"
    )
    note: str | None = Field(
        None, description="remaining differences from the publication, shown with the verdict; default: none"
    )
    settings: dict[str, Any] = Field(
        {}, description="training settings that a run must share; written by ganbench, from the spec"
    )

    def with_settings(self, settings: dict[str, Any]) -> Reference:
        """Return the reference with these settings, unless it has its own."""
        return self if self.settings else self.model_copy(update={"settings": settings})
