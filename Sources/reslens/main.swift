import ResLensCommand

reslensMain()
