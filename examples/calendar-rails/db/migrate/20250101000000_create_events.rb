class CreateEvents < ActiveRecord::Migration[6.1]
  def change
    create_table :events do |t|
      t.string :title, null: false, limit: 120
      t.date :day, null: false
      t.time :starts_at, null: false
      t.time :ends_at, null: false
      t.text :notes
      t.string :author

      t.timestamps
    end
    add_index :events, %i[day starts_at id]
  end
end
