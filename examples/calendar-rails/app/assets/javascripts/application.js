//= require action_cable

// A page of events shows itself anew when the server tells of a change.
document.addEventListener("DOMContentLoaded", () => {
  if (!("live" in document.body.dataset)) return;

  const refresh = async () => {
    const response = await fetch(location.href, { headers: { "X-Refresh": "1" } });
    if (response.redirected || !response.ok) return;
    const page = new DOMParser().parseFromString(await response.text(), "text/html");
    document.querySelector("main").replaceWith(page.querySelector("main"));
  };

  let missed = false;
  ActionCable.createConsumer().subscriptions.create("CalendarChannel", {
    connected: () => missed && refresh(),
    disconnected: () => { missed = true; },
    received: refresh,
  });
});
