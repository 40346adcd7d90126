# A month as the calendar shows it: whole weeks from Monday on.
class Month
  attr_reader :first

  def self.of(date)
    new(date.year, date.month)
  end

  def initialize(year, month)
    @first = Date.new(year.to_i, month.to_i)
  end

  def weeks
    days.each_slice(7)
  end

  def days
    first.beginning_of_week..first.end_of_month.end_of_week
  end

  def previous
    Month.of(first.prev_month)
  end

  def next
    Month.of(first.next_month)
  end

  def include?(day)
    first.all_month.cover?(day)
  end

  def to_s
    I18n.l(first, format: "%B %Y")
  end

  def to_param
    { year: first.year, month: first.month }
  end
end
