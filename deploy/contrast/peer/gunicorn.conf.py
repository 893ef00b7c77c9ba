# Read from the working directory. "docs" is https://docs.gunicorn.org/en/stable/
import os

wsgi_app = "peer.wsgi"
# docs: design.html#how-many-workers
workers = 2 * len(os.sched_getaffinity(0)) + 1
worker_class = os.environ.get("W", "sync")
threads = int(os.environ.get("T", "1"))
# docs: faq.html#how-do-i-avoid-gunicorn-excessively-blocking-in-os-fchmod
worker_tmp_dir = "/dev/shm"
