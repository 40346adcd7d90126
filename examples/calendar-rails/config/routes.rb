Rails.application.routes.draw do
  root "months#show"
  get "months/:year/:month", to: "months#show", as: :month, constraints: { year: /(19|20)\d\d/, month: /[1-9]|1[0-2]/ }

  resources :events
  resource :session, only: %i[new create destroy]
end
