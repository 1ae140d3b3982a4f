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
_LAST_PAGE = 200  # an offset costs what it skips; further down lead dates and statuses


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
        return limit(self.page_number, self.per_page)

    @property
    def is_capped(self) -> bool:
        """Whether there may be more rows than `count`."""
        return self.count >= self.limit


def limit(page_number: int, per_page: int) -> int:
    """Return how many rows a look at that page counts at most."""
    page = min(max(page_number, 1), _LAST_PAGE)
    return max(CAP, (page + _PAGES_AHEAD) * per_page)


def page_number(request: HttpRequest, page_variable: str) -> int:
    """Return which page is asked for; what makes no sense is the first."""
    given = request.GET.get(page_variable, "1")
    return int(given) if given.isdecimal() and len(given) <= len(str(CAP)) else 1


def paginator(
    request: HttpRequest, rows: Any, per_page: int, page_variable: str
) -> CappedPaginator:
    """Return the pages of `rows` as far as this request looks."""
    pages = CappedPaginator(rows, per_page)
    pages.page_number = page_number(request, page_variable)
    return pages
