# What is loaded before a tenant is known, and how its program is run then.

require_relative "held"

class Gems
  FRAMEWORKS = %w[ActiveSupport ActiveModel ActiveRecord AbstractController ActionDispatch ActionController ActionView
                  ActionCable ActionMailer ActiveJob].freeze
  # Classes that every application has, and whose load hooks make them the application's.
  BASES = %w[ActiveRecord::Base ActionController::Base ActionView::Base ActiveJob::Base ActionMailer::Base
             ActionCable::Channel::Base ActionCable::Connection::Base].freeze
  # Its thread clears away after threads that ended; a fork begins with none.
  HARMLESS = "concurrent/atomic/ruby_thread_local_var.rb".freeze
  ALSO = %w[puma/launcher puma/single puma/server puma/binder rack/builder].freeze

  def initialize(root, command, directory)
    @directory = directory
    @root = File.realpath(root)
    @given = root
    @bundled = command.split.first.end_with?("bundle")
  end

  # Load what there is to load; a fork would not have threads, and would share sockets.
  def load
    require "bundler/setup" if @bundled || File.exist?("Gemfile")
    require "puma/cli"
    Held.during { rails } if File.exist?("config/application.rb")
    ALSO.each { |each| attempt(each) }
    Held.put_back("#{@directory}/held")
    refuse_what_does_not_survive
    note_files
    3.times { GC.start }
    GC.respond_to?(:compact) && GC.compact
  end

  # The words of a command as it is run: what stands before puma's own is known.
  def run(words)
    Bundler::SharedHelpers.set_bundle_environment if defined?(Bundler::SharedHelpers)
    own = words.drop_while { |each| File.basename(each) != "puma" }
    $0 = own.shift
    ARGV.replace(own)
    Puma::CLI.new(ARGV).run
  end

  def check(words)
    raise Refused, "#{words.first} is not puma" unless words.any? { |each| File.basename(each) == "puma" }
    raise Stale, "#{@given} is another directory" unless File.realpath(@given) == @root
    changed = @files.find { |file, known| identity(file) != known }
    raise Stale, "#{changed.first} has changed" if changed
  end

  private

  # What config/application.rb requires, up to where it is about the application.
  def rails
    File.foreach("config/application.rb") do |line|
      case line
      when /\A(module|class)\b/ then break
      when /\A\s*require ["']([\w\/.-]+)["']/ then require Regexp.last_match(1)
      when /\A\s*Bundler\.require\(\*Rails\.groups\)/ then Bundler.require(*Rails.groups)
      end
    end
    FRAMEWORKS.each { |each| eager_load(each) }
    attempt("active_record/connection_adapters/sqlite3_adapter")
    BASES.each { |each| Object.const_get(each) if Object.const_defined?(each.split("::").first) }
  end

  def eager_load(name)
    framework = Object.const_get(name) if Object.const_defined?(name)
    framework.eager_load! if framework.respond_to?(:eager_load!)
  end

  def attempt(feature)
    require feature
  rescue LoadError
    nil
  end

  def refuse_what_does_not_survive
    others = Thread.list.reject { |each| each.equal?(Thread.current) || each.inspect.include?(HARMLESS) }
    abort "atc: a gem starts a thread while it is loaded: #{others.first.inspect}" unless others.empty?
    sockets = Dir.glob("/proc/self/fd/*").select { |each| File.readlink(each).start_with?("socket:") rescue false }
    abort "atc: a gem opens a socket while it is loaded" unless sockets.empty?
  end

  def note_files
    own = %w[Gemfile Gemfile.lock config/application.rb].map { |each| File.join(@root, each) }
    @files = [*own, *$LOADED_FEATURES.grep(%r{\A/})].to_h { |file| [file, identity(file)] }
  end

  def identity(file)
    found = File.stat(file)
    [found.ino, found.mtime.to_r]
  rescue SystemCallError
    nil
  end
end
