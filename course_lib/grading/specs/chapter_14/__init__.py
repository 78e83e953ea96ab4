"""Chapter 14: reading other people's code."""

from .blog_gae import SPEC as BLOG_GAE
from .blog_log_prob import SPEC as BLOG_LOG_PROB
from .popular_line_search import SPEC as POPULAR_LINE_SEARCH
from .slide_critic_loss import SPEC as SLIDE_CRITIC_LOSS
from .slide_fisher_product import SPEC as SLIDE_FISHER_PRODUCT

TASKS = (BLOG_GAE, SLIDE_CRITIC_LOSS, BLOG_LOG_PROB, SLIDE_FISHER_PRODUCT, POPULAR_LINE_SEARCH)
