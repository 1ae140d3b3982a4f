# The packages are built apart, so that no tool which builds them is in the image.
FROM python:3.13-slim AS packages
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python -m venv /venv
COPY requirements.txt /requirements.txt
RUN /venv/bin/pip install --requirement /requirements.txt

FROM python:3.13-slim
ENV PATH=/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    DJANGO_SETTINGS_MODULE=jobsite.settings
RUN groupadd --system --gid 10001 jobsite \
    && useradd --system --uid 10001 --gid jobsite --no-create-home --home-dir /nonexistent \
        --shell /usr/sbin/nologin jobsite
COPY --from=packages /venv /venv
WORKDIR /app
COPY manage.py ./
COPY jobsite jobsite
COPY templates templates
COPY jobs jobs
# Only this command sees these values: settings refuse to load without any.
RUN SECRET_KEY=only-while-the-image-is-built-00000000000000000000000 \
    DATABASE_URL=postgres:///none REDIS_URL=redis://none ALLOWED_HOSTS=none \
    python manage.py collectstatic --noinput \
    && python -m compileall -q jobs jobsite \
    && install -d -o jobsite -g jobsite var var/imports
USER 10001
EXPOSE 8000
# Asks as a client would: under a name that ALLOWED_HOSTS has.
HEALTHCHECK --interval=15s --timeout=5s --start-period=20s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request as u; u.urlopen(u.Request('http://127.0.0.1:8000/live', headers={'Host': os.environ['ALLOWED_HOSTS'].split(',')[0].strip().lstrip('.')}), timeout=4)"]
CMD ["uvicorn", "jobsite.asgi:application", "--host", "0.0.0.0", "--port", "8000", "--timeout-graceful-shutdown", "20"]
