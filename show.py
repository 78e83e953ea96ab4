import json,glob,sys,numpy as np
from collections import defaultdict
d=defaultdict(list)
for f in sorted(glob.glob(sys.argv[1]+'/runs/*/*.json')):
    r=json.load(open(f)); ev=r['evaluations']; m=ev['mean']; s=ev['step']
    arr=next((x for x,y in zip(s,m) if y>=330),None)
    d[f.split('/')[-2]].append((f[-9:-5], round(np.mean(r['final']['return'] if isinstance(r['final'],dict) and 'return' in r['final'] else m[-1]),1), arr, round(min(m[10:]),0) if len(m)>10 else None))
for k,v in d.items(): print(k, *v, sep='\n   ')
