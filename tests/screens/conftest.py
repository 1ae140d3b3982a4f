from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.db import connections
from selenium.common.exceptions import (
    NoSuchElementException,
    StaleElementReferenceException,
    TimeoutException,
)
from selenium.webdriver import Chrome
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.support.wait import WebDriverWait

from jobs.broker import client as broker_client

CHROMIUM = shutil.which("chromium") or "/usr/bin/chromium"
DRIVER = shutil.which("chromedriver") or "/usr/bin/chromedriver"
LIMIT_SECONDS = 15
# django-rq's own lists call a jQuery plugin that Django's admin no longer ships.
KNOWN = ("$(...).actions is not a function", "Cannot read properties of null (reading 'dataset')")
FLAGS = (
    "--headless=new",
    "--no-sandbox",  # as root there is none
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--window-size=1280,900",
)


@pytest.fixture(scope="session")
def no_open_connections(django_db_setup):
    """Close each connection with its request: the browser keeps the server's threads alive."""
    connections.settings["default"]["CONN_MAX_AGE"] = 0


@pytest.fixture(scope="session")
def chromium(tmp_path_factory, no_open_connections, live_server):
    """One real Chromium for all tests."""
    options = Options()
    options.binary_location = CHROMIUM
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('chromium')}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = Chrome(options=options, service=Service(DRIVER))
    driver.set_page_load_timeout(LIMIT_SECONDS)
    yield driver
    driver.quit()


class Screen:
    """What a person sees and does in the browser."""

    def __init__(self, driver, address):
        self.driver = driver
        self.address = address

    def open(self, path):
        self.driver.get(f"{self.address}{path}")

    def find(self, selector):
        return self.driver.find_element(By.CSS_SELECTOR, selector)

    def all(self, selector):
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def click(self, words):
        self.driver.find_element(By.PARTIAL_LINK_TEXT, words).click()

    def press(self, selector):
        """Click, and wait until the page that follows is there."""
        before = self.find("html")
        self.find(selector).click()
        self.until(lambda: before != self.find("html"))

    def fill(self, name, text):
        field = self.find(f"[name='{name}']")
        field.clear()
        field.send_keys(text)

    @property
    def text(self):
        return self.find("body").text

    def until(self, condition):
        """Wait until `condition` holds, or show what is seen instead."""
        # While one page follows another, what was found on the first is stale.
        changing = (StaleElementReferenceException, NoSuchElementException)
        wait = WebDriverWait(self.driver, LIMIT_SECONDS, 0.1, ignored_exceptions=changing)
        try:
            wait.until(lambda _: condition())
        except TimeoutException:
            raise AssertionError(f"{self.driver.current_url}\n{self.text[:2000]}") from None

    def shows(self, words):
        self.until(lambda: words in self.text)

    def choose_theme(self, theme):
        self.driver.execute_script("localStorage.setItem('theme', arguments[0])", theme)

    def keep(self, name):
        """Keep a picture of the whole page where the environment names a folder for it."""
        if folder := os.environ.get("SCREENSHOTS"):
            height = self.driver.execute_script("return document.documentElement.scrollHeight")
            self.driver.set_window_size(1280, max(900, height + 150))
            self.driver.save_screenshot(str(Path(folder) / f"{name}.png"))
            self.driver.set_window_size(1280, 900)

    def log_in(self, name):
        self.open("/admin/")
        self.fill("username", name)
        self.fill("password", "demo")
        self.press("[type=submit]")

    def complaints(self):
        """Return what the console holds against the pages opened since it was last asked."""
        messages = [entry["message"] for entry in self.driver.get_log("browser")]
        return [text for text in messages if not any(known in text for known in KNOWN)]


@pytest.fixture
def screen(chromium, live_server):
    """A browser window in which nobody is logged in; at the end its console must be clean."""
    broker_client.for_work().flushdb()
    User.objects.create_superuser("demo", password="demo")
    chromium.get("about:blank")  # the page of the test before may still ask for news
    chromium.delete_all_cookies()
    chromium.set_window_size(1280, 900)
    screen = Screen(chromium, live_server.url)
    screen.complaints()
    yield screen
    assert screen.complaints() == []
    broker_client.for_work().flushdb()
