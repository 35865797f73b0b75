#!/usr/bin/env python3
import os,re,subprocess,shutil,sys,glob
MAIN='/work/main';H='/work/house';W='/root/house/w';OUT='/root/house/mutants'
def sh(*a,**k): return subprocess.run(a,capture_output=True,text=True,**k)
def tree(d,src=MAIN):
    shutil.rmtree(d,ignore_errors=True); os.makedirs(d)
    for x in ('module','uapi'): shutil.copytree(f'{src}/{x}',f'{d}/{x}',ignore=shutil.ignore_patterns('*.o','*.cmd','probed.h'))
def files(d):
    r={}
    for p,_,fs in os.walk(d):
        for f in fs:
            q=os.path.join(p,f); r[os.path.relpath(q,d)]=open(q,errors='replace').read()
    return r
tree(W+'/B'); B0=files(W+'/B')
sh('python3','/root/house/restructure.py',W+'/B','--nogit',check=True); SB=files(W+'/B')
HF={f:open(f'{H}/{f}').read() for f in SB if os.path.exists(f'{H}/{f}')}
# files only H has
for p,_,fs in os.walk(H+'/module'):
    for f in fs:
        if f.endswith(('.c','.h')): HF.setdefault(os.path.relpath(os.path.join(p,f),H),open(os.path.join(p,f)).read())
shutil.rmtree(OUT,ignore_errors=True); os.makedirs(OUT)
bad=[];ok=0;same=0
names=sorted(glob.glob(MAIN+'/tools/mutants/*.patch'))
for n in names:
    name=os.path.basename(n)[:-6]; text=open(n).read()
    head,_,diff=text.partition('diff --git'); 
    if 'b/module/' not in diff and 'b/uapi' not in diff:
        open(f'{OUT}/{name}.patch','w').write(text); same+=1; continue
    tree(W+'/M'); 
    r=sh('git','apply','--include=module/*','--include=uapi/*',n,cwd=W+'/M')
    if r.returncode: r=sh('patch','-p1','-s','-i',n,cwd=W+'/M')
    sh('python3','/root/house/restructure.py',W+'/M','--nogit',check=True); SM=files(W+'/M')
    res={};conf=False
    for f in SM:
        if SM[f]==SB.get(f): continue
        if f not in HF: conf=True; continue
        for x,c in (('o',HF[f]),('b',SB[f]),('t',SM[f])): open(f'{W}/{x}','w').write(c)
        r=sh('git','merge-file','-p','--diff3',W+'/o',W+'/b',W+'/t')
        if r.returncode!=0: conf=True
        res[f]=r.stdout
    if not res: conf=True
    if conf: bad.append(name); continue
    out=''
    for f in sorted(res):
        open(W+'/o','w').write(HF[f]); open(W+'/t','w').write(res[f])
        d=sh('git','diff','--no-index','--no-color',W+'/o',W+'/t').stdout
        d=d[d.index('@@'):] if '@@' in d else ''
        if d: out+=f'diff --git a/{f} b/{f}\n--- a/{f}\n+++ b/{f}\n'+d
    if not out: bad.append(name); continue
    open(f'{OUT}/{name}.patch','w').write(head+out); ok+=1
print(ok,'ported',same,'same',len(bad),'by hand:'); print(' '.join(bad))
