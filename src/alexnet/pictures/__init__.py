"""Pictures of filters, images and runs, and the report that holds them."""
