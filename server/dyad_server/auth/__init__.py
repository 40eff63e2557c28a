"""Who a client is: tokens and the keys that sign them."""
