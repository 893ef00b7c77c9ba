"""What docker-compose.yml says, for every service, with no setting made by anyone."""

import pytest
from docker import Project

SLOTS = {"app-blue", "app-green"}
ONE_SHOTS = {"init", "migrate", "publish"}
SERVICES = SLOTS | ONE_SHOTS | {"postgres", "nginx"}


@pytest.fixture(scope="module")
def config():
    return Project("compose").config()


@pytest.fixture(scope="module", params=sorted(SERVICES))
def service(request, config):
    return config["services"][request.param]


def test_every_variable_has_a_default():
    assert "variable is not set" not in Project("compose").compose("config", "--quiet").stdout


def test_the_services_are_those_of_the_design(config):
    assert set(config["services"]) == SERVICES


def test_a_service_is_closed_and_bounded(service):
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"] and "cap_add" not in service and "privileged" not in service
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert int(service["mem_limit"]) > 0 and service["pids_limit"] > 0
    assert service["logging"] == {"driver": "json-file", "options": {"max-size": "10m", "max-file": "5"}}
    for mount in service.get("tmpfs", []):
        assert {"noexec", "nosuid", "nodev"} < set(mount.split(":")[1].split(",")) and "size=" in mount


def test_nothing_comes_from_the_host_or_a_registry(service):
    assert service["pull_policy"] == "never"
    assert {volume["type"] for volume in service.get("volumes", [])} <= {"volume"}
    assert not service.get("secrets") and not service.get("configs") and not service.get("env_file")


def test_a_volume_that_is_only_read_keeps_its_owner(service):
    for volume in service.get("volumes", []):
        assert bool(volume.get("read_only")) == bool(volume.get("volume", {}).get("nocopy"))


def test_a_secret_is_given_as_a_path(service):
    for name, value in (service.get("environment") or {}).items():
        if any(word in name for word in ("PASSWORD", "KEY", "PEPPER", "SECRET", "TOKEN")):
            assert name.endswith("_FILE") and value.startswith("/secrets/")


def test_only_nginx_is_reachable_and_the_database_is_not(config):
    networks = {name: set(service.get("networks") or {}) for name, service in config["services"].items()}
    assert {name for name, service in config["services"].items() if service.get("ports")} == {"nginx"}
    assert config["networks"]["database"]["internal"] is True
    assert {name for name, joined in networks.items() if joined == {"database"}} == SLOTS | {"postgres", "migrate"}
    assert networks["nginx"] == {"edge"}
    assert {name for name, service in config["services"].items() if service.get("network_mode") == "none"} == {
        "init",
        "publish",
    }


def test_no_service_waits_for_a_slot(config):
    for name, service in config["services"].items():
        assert not SLOTS & set(service.get("depends_on") or {}), name


def test_one_shots_end_and_the_others_come_back(config):
    for name, service in config["services"].items():
        assert service["restart"] == ("no" if name in ONE_SHOTS else "unless-stopped")
        assert ("healthcheck" in service) == (name not in ONE_SHOTS)
        if name not in ONE_SHOTS:
            assert service["healthcheck"]["interval"] == "3s"


def test_the_app_is_built_once(config):
    of_app = {name for name, service in config["services"].items() if service["image"].endswith("-app")}
    assert of_app == SLOTS | ONE_SHOTS
    assert [name for name in of_app if "build" in config["services"][name]] == ["init"]
