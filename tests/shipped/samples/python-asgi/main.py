from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route


async def tell(request):
    return PlainTextResponse("asgi\n")


app = Starlette(routes=[Route("/", tell)])
