"""The routes to withdraw a case, reopen a closed one, and transfer a role."""

from fastapi import APIRouter

from app.cases.acts import add_route
from app.cases.ending import ending
from app.http.route import GuardedRoute

router = APIRouter(route_class=GuardedRoute, tags=["cases"])
add_route(router, "case.withdrawn", ending.withdraw_case)
add_route(router, "case.reopened", ending.reopen_case)
add_route(router, "case.transferred", ending.transfer_case)
