# Load hooks that wait until somebody needs the class they are about.
#
# Rails runs a class's load hooks when the class is loaded, which in an ordinary start is when its name is first used: by
# then the application has been configured. A class that is loaded beforehand is therefore taken away again, and put where
# an autoload finds it: the first use of its name brings it back and runs its hooks, just then.

require "fileutils"

module Held
  # In front of ActiveSupport's own.
  module Hold
    def run_load_hooks(name, base = Object)
      return super unless Held.holds? && base.is_a?(Module) && base.name && !base.equal?(Object)

      (Held.classes[base] ||= []) << name
    end
  end

  @classes = {} # class -> the names of its hooks

  class << self
    attr_reader :classes

    # Whatever is loaded in the block keeps its hooks back.
    def during
      require "active_support"
      require "active_support/lazy_load_hooks"
      ActiveSupport.singleton_class.prepend(Hold)
      @holds = true
      yield
    ensure
      @holds = false
    end

    def holds?
      @holds
    end

    # Take away the classes that were loaded, and have them found again, by files in a directory of ours.
    def put_back(directory)
      FileUtils.mkdir_p(directory)
      @kept = @classes.keys
      @kept.each_with_index do |each, index|
        parent, name = place(each)
        file = "#{directory}/#{index}.rb"
        File.write(file, "Held.bring_back(#{index})\n")
        parent.send(:remove_const, name)
        parent.autoload(name, file)
      end
    end

    # Called when the name of one is used first.
    def bring_back(index)
      found = @kept[index]
      parent, name = place(found)
      parent.const_set(name, found)
      @classes.delete(found).each { |hook| ActiveSupport.run_load_hooks(hook, found) }
    end

    private

    def place(found)
      above, _, name = found.name.rpartition("::")
      [above.empty? ? Object : Object.const_get(above), name]
    end
  end
end
