# Something that happens on one day.
class Event < ApplicationRecord
  TINTS = 6

  has_one_attached :attachment

  validates :title, presence: true, length: { maximum: 120 }
  validates :day, :starts_at, :ends_at, presence: true
  validates :notes, length: { maximum: 5000 }
  validate :ends_after_it_starts

  scope :in_order, -> { order(:day, :starts_at, :id) }
  scope :coming, -> { where(day: Date.current..).in_order }

  after_commit { CalendarChannel.announce(self) }

  # The number of the colour that all events of this author share.
  def tint
    Zlib.crc32(author.to_s) % TINTS
  end

  def time_span
    [starts_at, ends_at].map { |time| time.strftime("%H:%M") }.join(" – ")
  end

  private

  def ends_after_it_starts
    errors.add(:ends_at, :later) if starts_at && ends_at && ends_at <= starts_at
  end
end
