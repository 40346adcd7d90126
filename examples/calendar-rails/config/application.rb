require_relative "boot"

require "rails"
require "active_record/railtie"
require "active_storage/engine"
require "action_controller/railtie"
require "action_view/railtie"
require "action_cable/engine"
require "sprockets/railtie"

Bundler.require(*Rails.groups)

module Calendar
  class Application < Rails::Application
    config.load_defaults 6.1

    config.x.title = ENV.fetch("CALENDAR_TITLE", "Calendar")
    config.active_storage.analyzers = []
    config.active_storage.previewers = []
  end
end
