"""An application with sessions, in FastAPI: as in docs/guides/access.md."""

import sys

import uvicorn
from fastapi import FastAPI, Request, Response
from starlette.middleware.sessions import SessionMiddleware

app = FastAPI()
app.add_middleware(SessionMiddleware, secret_key="of-the-test", session_cookie="sessionid")
asked = 0


@app.post("/login")
def login(request: Request, user: str):
    request.session["user"] = user
    return {"user": user}


@app.post("/logout")
def logout(request: Request):
    request.session.clear()
    return {}


@app.get("/hub/auth")
def hub_auth(request: Request):
    global asked
    asked += 1
    if not (user := request.session.get("user")):
        return Response(status_code=403)
    return {"sub": user, "subscribe": [f"orders/{user}/**"], "expires_in": 1}


@app.get("/asked")
def count():
    return {"asked": asked}


uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="warning")
