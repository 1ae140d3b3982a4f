"""Pages of a list that may be millions of rows long: counted only as far as somebody looks."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import HttpRequest

if TYPE_CHECKING:
    BasePaginator = Paginator[Any]
else:
    BasePaginator = Paginator

CAP = 1_000  # rows counted at most, until somebody turns to a page behind them
_PAGES_AHEAD = 3
_LAST_PAGE = 1_000  # nobody turns further; and an offset costs what it skips


class CappedPaginator(BasePaginator):
    """Counts to `CAP`, or to a few pages behind the current one where that is further."""

    object_list: Any
    page_number = 1

    @cached_property
    def count(self) -> int:
        """The number of rows, at most `limit`."""
        rows: QuerySet[Any] = self.object_list
        return rows.order_by()[: self.limit].count()

    @property
    def limit(self) -> int:
        """Where the counting stops."""
        page = min(max(self.page_number, 1), _LAST_PAGE)
        return max(CAP, (page + _PAGES_AHEAD) * self.per_page)

    @property
    def is_capped(self) -> bool:
        """Whether there may be more rows than `count`."""
        return self.count >= self.limit


def paginator(
    request: HttpRequest, rows: Any, per_page: int, page_variable: str
) -> CappedPaginator:
    """Return the pages of `rows` as far as this request looks."""
    pages = CappedPaginator(rows, per_page)
    given = request.GET.get(page_variable, "1")
    pages.page_number = int(given) if given.isdecimal() and len(given) <= len(str(CAP)) else 1
    return pages
