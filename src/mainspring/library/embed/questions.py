"""General questions, from which the mean vector of each language's questions is computed.

Made up for this purpose, on everyday, office, technical and scientific matters, so that what they share is the
language and the form of a question, not a subject. A change of one changes the embedder's revision.
"""

from __future__ import annotations

_EN = """
What is the capital of Australia?
how to reset a forgotten password
Who is responsible for approving travel expenses?
When does the contract with the supplier end?
average rainfall in the rainy season
Which tools do I need to change a bicycle tyre?
explain the difference between a process and a thread
How much did revenue grow in the second quarter?
side effects of taking aspirin every day
What does the warning light on the dashboard mean?
list of countries that signed the agreement
Why did the experiment fail the first time?
recipe for bread without yeast
Where can I find the configuration file?
number of employees by department
How is the accuracy of the model measured?
What happened to the city after the earthquake?
steps to install the driver on an older computer
Is it allowed to keep a dog in the flat?
diagram of the cooling system
Who wrote the first novel of the series?
How long does the battery last?
minutes of the meeting in March
What are the main causes of soil erosion?
comparison of insurance plans for families
How do plants store energy?
deadline for handing in the application
Which medicine should not be taken with alcohol?
table of prices for spare parts
What was said about the budget for next year?
How far is the moon from the earth?
meaning of the symbol on the map
Can the order be cancelled after it was paid?
history of the railway in the north
What is the best way to learn a new language?
error message when saving a large file
Which team won the match on Saturday?
limits of the method and future work
How many people live in rural areas?
photo of the bridge at night
"""

_ZH = """
澳大利亚的首都是哪里？
忘记密码怎么重置
差旅费由谁审批？
与供应商的合同什么时候到期？
雨季的平均降雨量
换自行车轮胎需要哪些工具？
解释进程和线程的区别
第二季度的收入增长了多少？
每天吃阿司匹林有什么副作用
仪表盘上的警告灯是什么意思？
签署该协议的国家名单
第一次实验为什么失败了？
不用酵母的面包做法
配置文件在哪里可以找到？
各部门的员工人数
模型的准确率是怎么衡量的？
地震之后这座城市怎么样了？
在旧电脑上安装驱动程序的步骤
公寓里可以养狗吗？
冷却系统示意图
这套小说的第一部是谁写的？
电池能用多长时间？
三月份的会议纪要
土壤侵蚀的主要原因是什么？
适合家庭的保险方案比较
植物怎样储存能量？
提交申请的截止日期
哪种药不能和酒一起服用？
零配件价格表
关于明年的预算说了些什么？
月球离地球有多远？
地图上这个符号的含义
付款之后还能取消订单吗？
北方铁路的历史
学习一门新语言的最好方法是什么？
保存大文件时出现的错误信息
星期六的比赛哪个队赢了？
该方法的局限和今后的工作
农村地区有多少人口？
大桥夜景的照片
"""

_JA = """
オーストラリアの首都はどこですか？
パスワードを忘れたときの再設定方法
出張費は誰が承認しますか？
契約はいつ終了しますか？
第2四半期の売上はどれくらい増えましたか？
設定ファイルはどこにありますか？
電池はどのくらい持ちますか？
土壌が流れ出す主な原因は何ですか？
交換部品の価格表
なぜ最初の実験は失敗したのですか？
三月の会議の議事録
植物はどのようにエネルギーを蓄えますか？
"""

_KO = """
호주의 수도는 어디입니까?
비밀번호를 잊어버렸을 때 재설정하는 방법
출장비는 누가 승인합니까?
공급업체와의 계약은 언제 끝납니까?
2분기 매출은 얼마나 늘었습니까?
설정 파일은 어디에 있습니까?
배터리는 얼마나 오래 갑니까?
토양 침식의 주요 원인은 무엇입니까?
예비 부품 가격표
첫 번째 실험은 왜 실패했습니까?
3월 회의록
식물은 에너지를 어떻게 저장합니까?
"""

_DE = """
Was ist die Hauptstadt von Australien?
vergessenes Passwort zurücksetzen
Wer genehmigt die Reisekosten?
Wann endet der Vertrag mit dem Lieferanten?
Um wie viel ist der Umsatz im zweiten Quartal gestiegen?
Wo finde ich die Konfigurationsdatei?
Wie lange hält die Batterie?
Was sind die wichtigsten Ursachen der Bodenerosion?
Preisliste für Ersatzteile
Warum ist der erste Versuch gescheitert?
Protokoll der Sitzung im März
Wie speichern Pflanzen Energie?
"""

_FR = """
Quelle est la capitale de l'Australie ?
comment réinitialiser un mot de passe oublié
Qui approuve les frais de déplacement ?
Quand le contrat avec le fournisseur prend-il fin ?
De combien le chiffre d'affaires a-t-il augmenté au deuxième trimestre ?
Où se trouve le fichier de configuration ?
Combien de temps dure la batterie ?
Quelles sont les principales causes de l'érosion des sols ?
liste des prix des pièces détachées
Pourquoi la première expérience a-t-elle échoué ?
compte rendu de la réunion de mars
Comment les plantes stockent-elles l'énergie ?
"""

_ES = """
¿Cuál es la capital de Australia?
cómo restablecer una contraseña olvidada
¿Quién aprueba los gastos de viaje?
¿Cuándo termina el contrato con el proveedor?
¿Cuánto crecieron los ingresos en el segundo trimestre?
¿Dónde está el archivo de configuración?
¿Cuánto dura la batería?
¿Cuáles son las principales causas de la erosión del suelo?
lista de precios de repuestos
¿Por qué falló el primer experimento?
acta de la reunión de marzo
¿Cómo almacenan energía las plantas?
"""

_RU = """
Какой город является столицей Австралии?
как восстановить забытый пароль
Кто утверждает командировочные расходы?
Когда заканчивается договор с поставщиком?
На сколько выросла выручка во втором квартале?
Где находится файл конфигурации?
Сколько времени держит батарея?
Каковы основные причины эрозии почвы?
прайс-лист на запасные части
Почему первый опыт не удался?
протокол мартовского совещания
Как растения запасают энергию?
"""

_AR = """
ما هي عاصمة أستراليا؟
كيفية إعادة تعيين كلمة مرور منسية
من يوافق على نفقات السفر؟
متى ينتهي العقد مع المورد؟
كم نمت الإيرادات في الربع الثاني؟
أين يوجد ملف الإعدادات؟
كم تدوم البطارية؟
ما هي الأسباب الرئيسية لتآكل التربة؟
قائمة أسعار قطع الغيار
لماذا فشلت التجربة الأولى؟
محضر اجتماع شهر مارس
كيف تخزن النباتات الطاقة؟
"""

_PT = """
Qual é a capital da Austrália?
como redefinir uma senha esquecida
Quem aprova as despesas de viagem?
Quando termina o contrato com o fornecedor?
Quanto cresceu a receita no segundo trimestre?
Onde está o arquivo de configuração?
Quanto tempo dura a bateria?
Quais são as principais causas da erosão do solo?
lista de preços de peças de reposição
Por que o primeiro experimento falhou?
ata da reunião de março
Como as plantas armazenam energia?
"""

_HI = """
ऑस्ट्रेलिया की राजधानी क्या है?
भूला हुआ पासवर्ड कैसे रीसेट करें
यात्रा खर्च की मंज़ूरी कौन देता है?
आपूर्तिकर्ता के साथ अनुबंध कब समाप्त होता है?
दूसरी तिमाही में आय कितनी बढ़ी?
कॉन्फ़िगरेशन फ़ाइल कहाँ है?
बैटरी कितनी देर चलती है?
मिट्टी के कटाव के मुख्य कारण क्या हैं?
पुर्ज़ों की मूल्य सूची
पहला प्रयोग क्यों विफल हुआ?
मार्च की बैठक का कार्यवृत्त
पौधे ऊर्जा का भंडारण कैसे करते हैं?
"""

_TH = """
เมืองหลวงของออสเตรเลียคือเมืองอะไร
วิธีตั้งรหัสผ่านใหม่เมื่อลืม
ใครเป็นผู้อนุมัติค่าเดินทาง
สัญญากับผู้จัดหาสิ้นสุดเมื่อไร
รายได้ในไตรมาสที่สองเพิ่มขึ้นเท่าไร
ไฟล์การตั้งค่าอยู่ที่ไหน
แบตเตอรี่ใช้งานได้นานแค่ไหน
สาเหตุหลักของการกัดเซาะดินคืออะไร
รายการราคาอะไหล่
ทำไมการทดลองครั้งแรกจึงล้มเหลว
รายงานการประชุมเดือนมีนาคม
พืชเก็บพลังงานอย่างไร
"""

#: Language (ISO 639-1): its questions.
QUESTIONS: dict[str, tuple[str, ...]] = {
    language: tuple(text.strip().splitlines())
    for language, text in {
        "ar": _AR,
        "de": _DE,
        "en": _EN,
        "es": _ES,
        "fr": _FR,
        "hi": _HI,
        "ja": _JA,
        "ko": _KO,
        "pt": _PT,
        "ru": _RU,
        "th": _TH,
        "zh": _ZH,
    }.items()
}
