#!/usr/bin/env python3
"""hunks.py list FILE... | stage FILE:1,3 FILE ... : stage hunks by number"""
import subprocess,sys,re
def hunks(f):
    d=subprocess.run(['git','diff','-U1','--',f],capture_output=True,text=True).stdout
    parts=re.split(r'(?m)^(?=@@ )',d)
    return parts[0],parts[1:]
if sys.argv[1]=='list':
    for f in sys.argv[2:]:
        h,hs=hunks(f)
        for i,x in enumerate(hs,1):
            ls=[l for l in x.split('\n')[1:] if l[:1] in '+-']
            print(f,i,' | '.join(l[:60] for l in ls[:4]))
else:
    for a in sys.argv[2:]:
        f,_,n=a.partition(':')
        if not n: subprocess.check_call(['git','add',f]); continue
        h,hs=hunks(f)
        p=h+''.join(hs[int(i)-1] for i in n.split(','))
        subprocess.run(['git','apply','--cached','--unidiff-zero','-'],input=p,text=True,check=True)
