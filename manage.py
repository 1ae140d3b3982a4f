#!/usr/bin/env python
"""Run a management command of the site."""

from __future__ import annotations

import os
import sys

from django.core.management import execute_from_command_line

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "jobsite.settings")
    if sys.argv[1:2] == ["devstack"]:
        os.environ.setdefault("ENVIRONMENT", "development")  # it is for nothing else
    execute_from_command_line(sys.argv)
