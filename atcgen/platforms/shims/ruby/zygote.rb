# Has the gems of an application loaded, and is forked for each tenant: `zygote.rb SOCKET LEARNED ROOT COMMAND`.
#
# preload/ask.py has the protocol. Loaded are bundler, puma, what config/application.rb requires before it says anything
# of the application, and the frameworks of Rails, as far as they load themselves for production (held.rb tells how their
# load hooks wait). The application's own code is loaded by each child.
#
# Before each fork the files of all that are looked at: where one has changed, there is no fork, and the zygote ends.

require "socket"
require "fcntl"
require_relative "gems"

class Refused < StandardError; end
class Stale < StandardError; end

Asked = Struct.new(:umask, :namespace, :directory, :words, :environ, :files, :peer)

module Asking
  PATIENCE = 1 # seconds within which somebody who connects has to ask

  def self.read(connection)
    peer, uid, = connection.getsockopt(:SOCKET, :PEERCRED).unpack("i3")
    raise Refused, "another unix user asks" unless [0, Process.euid].include?(uid)
    data, files = receive(connection)
    words = data.split("\0", -1)
    raise Refused, "the request is not understood" unless words.shift == "1" && words.pop == "" && files.size == 5
    mask, namespace, directory, count = words.shift(4)
    Asked.new(Integer(mask), namespace, directory, words.shift(Integer(count)), words, files, peer)
  end

  def self.receive(connection)
    raise Refused, "nothing is asked" unless connection.wait_readable(PATIENCE)
    data, _, _, *rights = connection.recvmsg(65_536, scm_rights: true)
    files = rights.flat_map { |each| each.unix_rights || [] }
    until data.bytesize >= 8 && data.bytesize >= 8 + data[0, 8].to_i(16)
      raise Refused, "the request is cut off" unless connection.wait_readable(PATIENCE)
      more = connection.recv(1 << 20)
      raise Refused, "the request is cut off" if more.empty?
      data << more
    end
    [data.byteslice(8..), files]
  end
end

# What a child does before it is the tenant's process.
module Becoming
  SETOWN = 8
  SETSIG = 10
  ASYNC = 0o20000
  NEWNS = 0x00020000

  def self.become(asked, connection)
    Process.setpgid(0, Process.getpgid(asked.peer))
    enter(asked.peer) if File.readlink("/proc/self/ns/mnt") != asked.namespace
    connection.write(Process.pid.to_s)
    exit!(0) if connection.read(1) != "+"
    connection.close
    standard = asked.files.shift(3)
    end_with(asked.files.last)
    [$stdin, $stdout, $stderr].zip(standard) { |mine, given| mine.reopen(given) }
    standard.each(&:close)
    $stdout.sync = $stderr.sync = true
    asked.files.each { |each| each.autoclose = false }
    Dir.chdir(asked.directory)
    File.umask(asked.umask)
    ENV.replace(asked.environ.to_h { |each| each.split("=", 2) })
  rescue SystemCallError, IOError => e
    connection.write("! #{e.message}") unless connection.closed?
    exit!(1)
  end

  # Have the kernel kill this process group once the other end of a pipe is closed, whoever is there to notice.
  def self.end_with(life)
    life.fcntl(SETOWN, -Process.getpgrp)
    life.fcntl(SETSIG, Signal.list["KILL"])
    life.fcntl(Fcntl::F_SETFL, life.fcntl(Fcntl::F_GETFL) | ASYNC)
    exit!(1) if life.wait_readable(0)
  end

  def self.enter(peer)
    require "fiddle"
    setns = Fiddle::Function.new(Fiddle.dlopen(nil)["setns"], [Fiddle::TYPE_INT, Fiddle::TYPE_INT], Fiddle::TYPE_INT)
    File.open("/proc/#{peer}/ns/mnt") do |namespace|
      raise SystemCallError.new("the mount namespace cannot be entered", Fiddle.last_error) if setns.call(namespace.fileno, NEWNS) != 0
    end
  end
end

class Zygote
  LOOK = 1 # seconds between looks whether supervisord has ended

  def initialize(path, root, gems)
    @root = root
    @gems = gems
    @me = Process.pid
    @parent = Process.ppid
    @outcomes = {} # child -> where to tell how it ended
    @woken, @wake = IO.pipe
    %w[CHLD TERM].each { |name| trap(name) { heard(name) } }
    File.unlink(path) if File.exist?(path)
    @listener = UNIXServer.new(path)
    @listener.listen(1024)
  end

  # Fork whenever asked to; comes back in a child with the words it is to run, and with nil in a zygote that has to end.
  def serve
    until @ending || Process.ppid != @parent
      ready, = IO.select([@listener, @woken], nil, nil, LOOK)
      @woken.read_nonblock(4096, exception: false) if ready&.include?(@woken)
      reap
      asked = answer if ready&.include?(@listener)
      return asked if asked
    end
  end

  private

  def heard(name)
    @ending = true if name == "TERM"
    @wake.write_nonblock(".", exception: false)
  end

  def reap
    while !@outcomes.empty? && (child, status = Process.wait2(-1, Process::WNOHANG))
      outcome = @outcomes.delete(child) or next
      outcome.write(status.signaled? ? "killed #{status.termsig}\n" : "exited #{status.exitstatus}\n") rescue SystemCallError
      outcome.close
    end
  rescue Errno::ECHILD
    nil
  end

  def answer
    connection = @listener.accept
    asked = Asking.read(connection)
    @gems.check(asked.words)
    child = fork
    if child
      @outcomes[child] = asked.files[3].dup
      return
    end
    leave
    Becoming.become(asked, connection)
    asked
  rescue Refused, Stale, SystemCallError, IOError, ArgumentError => e
    stale(e) if e.is_a?(Stale)
    connection&.write("! #{e.message}") rescue SystemCallError
    nil
  ensure
    [*asked&.files, connection].compact.reject(&:closed?).each(&:close) if Process.pid == @me
  end

  def stale(problem)
    puts "atc: #{problem.message}, so that everything is loaded anew"
    @ending = true
  end

  # In a child: nothing of the zygote is left open.
  def leave
    %w[CHLD TERM].each { |name| trap(name, "DEFAULT") }
    [@woken, @wake, @listener, *@outcomes.values].each(&:close)
    @outcomes.clear
  end
end

$stdout.sync = true
path, learned, root, command = ARGV
ARGV.clear
Dir.chdir(root)
gems = Gems.new(root, command, File.dirname(learned))
gems.load
asked = Zygote.new(path, root, gems).serve
gems.run(asked.words) if asked
