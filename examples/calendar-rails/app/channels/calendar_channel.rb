# Tells open pages that an event was added, changed or removed.
class CalendarChannel < ApplicationCable::Channel
  STREAM = "calendar".freeze

  def self.announce(event)
    ActionCable.server.broadcast(STREAM, { event: event.id })
  end

  def subscribed
    stream_from STREAM
  end
end
