"""Which knob commands a trial is still to be given."""

from __future__ import annotations

from collections.abc import Iterable

from alphagrad.tuner.messages import KnobCommand


class KnobDelivery:
    """The commands that one attempt was given, so that the latest has the last word.

    Each is given when it is asked for. What an earlier attempt applied at steps that are made anew
    is asked for once more when the first of them is there, perhaps after newer commands: those are
    then given again behind it.

    Example:
        >>> delivery = KnobDelivery()
        >>> first, second = (KnobCommand(number, "*", 10.0 * number, None) for number in (1, 2))
        >>> [command.id for command in delivery.due([second])]
        [2]
        >>> [command.id for command in delivery.due([first, second])]
        [1, 2]
        >>> delivery.due([first, second])
        []
    """

    def __init__(self) -> None:
        self._given: dict[int, KnobCommand] = {}

    def due(self, asked: Iterable[KnobCommand]) -> list[KnobCommand]:
        """What to send now, in the order of the ids.

        Args:
            asked: the trial's commands that are not answered yet.
        """
        new = {command.id: command for command in asked if command.id not in self._given}
        if not new:
            return []
        self._given |= new
        return [self._given[number] for number in sorted(self._given) if number >= min(new)]
