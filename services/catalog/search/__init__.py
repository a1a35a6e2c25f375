"""Search: how text is folded, matched and ranked. Rules only, except `repository`, which holds the SQL."""
