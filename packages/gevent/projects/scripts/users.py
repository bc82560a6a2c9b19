"""Users for locust, of its client over requests and of the one over geventhttpclient."""

from locust import FastHttpUser, HttpUser, constant, task


class OverRequests(HttpUser):
    wait_time = constant(0.05)

    @task
    def get(self):
        self.client.get("/requests")


class Fast(FastHttpUser):
    wait_time = constant(0.05)

    @task
    def get(self):
        self.client.get("/fast")
