"""Look of the web pages: login, headers, tokens as CSS, pages that update by themselves."""
