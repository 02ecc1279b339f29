using CutoffLen.Evaluation.Measures;

namespace CutoffLen.Tests.Evaluation;

/// <summary>ROUGE against the values in rouge-score's own tests, which come from runs of ROUGE-1.5.5; stems against NLTK's.</summary>
public sealed class RougeTests
{
    // google-research/google-research, rouge/testdata/pyrouge_files: target.0, target.1 and target_multi.0, with the predictions.
    private const string Target0 = "ZfbCUIUuePaiLVUlCaUXxkpu XPeWing tUHfPMuZ',-Xd Y BrUgVJing M-HV.-DgdDaY.rFDJCRing Ht-LM EKBDXkME,yz'RBr q'wtion wIojNbN wL,b .a-'XdQggyFl jB-RPP'iyOIcUxer tKM L\n";
    private const string Prediction0 = "rFDJCRtion Ht-LM EKtDXkME,yz'RBr q'wer wrojNbN wL,b .a-'XdQggyFl jB-RPP'iyOIcUxi\n";
    private const string Target1 = "KsJdPByEtAor fE-Qg Dpdbring cw-WeFyu vC MoBL Xdn g wkvcEiGvKtion BDFhrpMtion psing sbKao Q m qiing LMmer HqqLFXe,XPY,J XsurkMer ,ed nB'wH'bWVHjWFEing tQ.saefZwJtKrTlixYpMMsJing UCAPwNHeYVjDing c T BUySKtion gMPfJpwGw p'NvxAoping eu pBwMBKV'I DNxqelhu,PHPxDEq,mtion SN\n";
    private const string Prediction1 = "n cw-WeFyu vC MoBL Xdn g wkvcEiGvKtion BDFhrpMer pstion sbKao Q m qier LMmed HqqLFXe,XPY,J XsurkMeo ,ed nB'wH'bWVHjWFEer tQ.saefZwJtKrTlixYpMMNJtion UCAPwNHeYVjD\n";
    private const string TargetLines = Target0 + Target1
        + "NhETebUbBk'er WOvoHMTjSRizKgH'vHiing Xu,hWxfs VkNE QhgKiLHE -HidivzoM.dO anhtion jbLQiSGDTCsuhREebUaKM dv J dVN tmbOT\nvMR HDm,xOAetion D,tion HJtodT.mHl UIv-p VjWH'BdyWjnfGU-OjT aEMdFICyLWfQMtion wEMfdOKing AwkeKbO 'DxqNOHBH qKtVvm OYJl mM\n";

    private const string PredictionLines = Prediction0 + Prediction1
        + "xfs VkJE QhgKiLHE -HidivzoM.dO anhing jbLQiSGDTCsuhREebUaKM dv J\nVjWH'BdyWjnfGU-OjTNaEMdFICyLWfQMing wEMfdOKijg AwkeKbO 'DxqNO\n";

    [Theory]
    [InlineData("rouge1", false, Target0, Prediction0, 0.40741, 0.68750, 0.51163)]
    [InlineData("rouge1", false, Target1, Prediction1, 0.40476, 0.65385, 0.50000)]
    [InlineData("rouge1", true, Target0, Prediction0, 0.40741, 0.68750, 0.51163)]
    [InlineData("rouge1", true, Target1, Prediction1, 0.42857, 0.69231, 0.52941)]
    [InlineData("rouge2", false, Target0, Prediction0, 0.30769, 0.53333, 0.39024)]
    [InlineData("rouge2", false, Target1, Prediction1, 0.29268, 0.48000, 0.36364)]
    [InlineData("rouge2", true, Target1, Prediction1, 0.29268, 0.48000, 0.36364)]
    [InlineData("rougeL", false, Target0, Prediction0, 0.40741, 0.68750, 0.51163)]
    [InlineData("rougeL", false, Target1, Prediction1, 0.40476, 0.65385, 0.50000)]
    [InlineData("rougeLsum", true, TargetLines, PredictionLines, 0.36538, 0.66667, 0.47205)]
    [InlineData("rougeLsum", false, "w1 w2 w3 w4 w5", "w1 w2 w6 w7 w8\nw1 w3 w8 w9 w5", 0.8, 0.4, 0.53333)]
    [InlineData("rouge1", false, "testing one two", "testing", 0.33333, 1, 0.5)]
    [InlineData("rouge2", false, "testing one two", "testing one", 0.5, 1, 0.66667)]
    [InlineData("rougeL", false, "testing one two", "testing two", 0.66667, 1, 0.8)]
    public void Scores_are_those_of_the_package(string name, bool stem, string target, string prediction, double recall, double precision, double f1)
    {
        var score = Of(Rouge.Of(target, prediction, stem), name);
        Assert.Equal((recall, precision, f1), (Math.Round(score.Recall, 5), Math.Round(score.Precision, 5), Math.Round(score.F1, 5)));
    }

    [Theory]
    [InlineData("testing one two", "")]
    [InlineData("", "w1")]
    [InlineData("w1 w2 w3 w4 w5", "/")]
    [InlineData("", "")]
    public void Texts_without_words_score_nothing(string target, string prediction) =>
        Assert.All(Rouge.Of(target, prediction).F1, f1 => Assert.Equal(0, f1));

    [Theory]
    // nltk/test/stem.doctest and nltk/test/unit/test_stem.py.
    [InlineData("caresses flies dies mules denied died agreed owned humbled sized meeting stating siezing itemization sensational traditional reference colonizer plotted oed",
        "caress fli die mule deni die agre own humbl size meet state siez item sensat tradit refer colon plot o")]
    // The examples of Porter's paper, step by step, where a whole stemming ends as the step does.
    [InlineData("ponies caress cats feed plastered bled motoring sing hopping tanned falling hissing fizzed failing filing happy",
        "poni caress cat feed plaster bled motor sing hop tan fall hiss fizz fail file happi")]
    [InlineData("revival allowance inference airliner gyroscopic adjustable defensible irritant replacement adjustment dependent adoption homologous communism activate angularity effective bowdlerize",
        "reviv allow infer airlin gyroscop adjust defens irrit replac adjust depend adopt homolog commun activ angular effect bowdler")]
    [InlineData("probate rate cease controll roll triplicate formative formalize electrical hopeful goodness", "probat rate ceas control roll triplic form formal electr hope good")]
    // What NLTK's docstrings say of its extensions: irregular forms, enjoy and fly, -alli through step 2 again, -fulli, -logi.
    [InlineData("skies dying news innings proceed enjoy enjoyment spied spy geology hopefully rationally", "sky die news inning proceed enjoy enjoy spi spi geolog hope ration")]
    public void Stems_are_those_of_NLTK(string words, string stems) =>
        Assert.Equal(stems.Split(' '), words.Split(' ').Select(PorterStemmer.Stem));

    private static RougeScore Of(Rouge rouge, string name) => name switch { "rouge1" => rouge.Rouge1, "rouge2" => rouge.Rouge2, "rougeL" => rouge.RougeL, _ => rouge.RougeLsum };
}
