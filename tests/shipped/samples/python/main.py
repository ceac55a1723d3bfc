import os

from bottle import route, run


@route("/")
def tell():
    return "python\n"


run(host="0.0.0.0", port=int(os.environ["PORT"]))
