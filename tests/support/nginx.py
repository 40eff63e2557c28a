"""nginx before another server on this host."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tests.support.needs import needs
from tests.support.ports import free_port
from tests.support.until import PATIENCE

_CONFIG = """
daemon off;
master_process off;
pid {folder}/nginx.pid;
error_log stderr warn;
events {{}}
http {{
  access_log off;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  server {{
    listen 127.0.0.1:{port};
    large_client_header_buffers 4 32k;
    location / {{
      proxy_pass http://127.0.0.1:{target};
      {directives}
    }}
  }}
}}
"""


@asynccontextmanager
async def nginx(target: int, folder: Path, *directives: str) -> AsyncIterator[int]:
    """Run nginx before `127.0.0.1:target`, with these directives; yields its port."""
    needs("nginx")
    port = free_port()
    config = folder / "nginx.conf"
    text = _CONFIG.format(
        folder=folder, port=port, target=target, directives="\n      ".join(directives)
    )
    config.write_text(text)
    process = await asyncio.create_subprocess_exec(
        "nginx", "-c", str(config), "-e", "stderr", stderr=asyncio.subprocess.DEVNULL
    )
    try:
        async with asyncio.timeout(PATIENCE):
            while True:
                assert process.returncode is None, "nginx ended at once"
                with contextlib.suppress(ConnectionRefusedError):
                    _, writer = await asyncio.open_connection("127.0.0.1", port)
                    writer.close()
                    break
                await asyncio.sleep(0.02)
        yield port
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
