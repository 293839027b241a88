from pkg.old import function  # 1x pkg.old
