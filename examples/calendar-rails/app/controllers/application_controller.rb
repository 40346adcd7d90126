class ApplicationController < ActionController::Base
  helper_method :current_name

  private

  def current_name
    session[:name]
  end
end
