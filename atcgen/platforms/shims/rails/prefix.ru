# Runs the application of ./config.ru below the prefix of a tenant, RAILS_RELATIVE_URL_ROOT, whatever Rack application it
# is. Rails takes the prefix of links from SCRIPT_NAME, which `map` sets; the variable alone is for its assets.

prefix = ENV.fetch("RAILS_RELATIVE_URL_ROOT", "").chomp("/")
rackup = File.expand_path("config.ru")
parsed = Rack::Builder.parse_file(rackup)
application = parsed.is_a?(Array) ? parsed.first : parsed # Rack 2 says the options too

# The tag that tells pages where Action Cable is knows its path within the application only.
if defined?(ActionCable.server) && !prefix.empty?
  cable = ActionCable.server.config
  cable.url ||= prefix + cable.mount_path if cable.mount_path
end

# A config.ru that speaks of the prefix mounts the application itself.
code = File.foreach(rackup).grep_v(/\A\s*#/).join
if prefix.empty? || code.match?(/relative_url_root/i)
  run application
else
  map(prefix) { run application }
end
